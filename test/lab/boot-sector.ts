/** The work of a guest. It has no operating system: its boot sector is its whole program. */
export type GuestProgram = {
  /** Memory that is filled once at the start and so must be transferred at least once. */
  readonly fillMiB: number;
  /** Memory that is written 18 times per second. Choose more than the bandwidth allows for a migration that does not converge. */
  readonly hotKiB: number;
  /** The guest powers off or reboots after this time. */
  readonly ends?: { readonly how: 'poweroff' | 'reboot'; readonly afterSeconds: number };
};

/** The character that the guest writes to its serial port when its memory is filled. */
export const READY = 'R';

const PAGE_KIB = 4;
const TICKS_PER_SECOND = 18;

/**
 * The machine code, assembled by GNU as for address 0x7c00:
 * ```
 *   00  cli; ax, ds, es, ss = 0; sp = 0x7c00; lgdt [0x7cb0]
 *   11  enter protected mode, load es with a 4 GiB segment, return to real mode, sti
 *   28  edi = 0x100000; ecx = [fill]
 *   33  write edi to es:[edi], edi += 4096, until ecx is 0
 *   43  write 'R' to the serial port
 *   48  edi = 0x100000; ecx = [hot]
 *   53  increment es:[edi], edi += 4096, until ecx is 0
 *   63  hlt, which waits for the timer interrupt (18.2 Hz)
 *   64  every 18th time: write '.' to the serial port
 *   75  if [life] is 0: go to 48. Decrement [life]; if it is not 0: go to 48
 *   82  if [end] is 1: power off through port 0x604; else reset through port 0xcf9
 *   98  hlt in a loop
 *   a0  gdt and its descriptor; b8 fill: u32; bc hot: u32; c0 beat: u16; c2 life: u16; c4 end: u8
 * ```
 */
const CODE = `fa31c08ed88ec08ed0bc007c0f0116b07c0f20c00c010f22c0bb08008ec324fe0f22c031c08ec0fb66bf00001000668b
0eb87c266766893f6681c7001000006649
75f0b052e8530066bf00001000668b0ebc7c266766ff076681c700100000664975f0f4ff0ec07c750bc706c07c1200b02ee82600
833ec27c0074ccff0ec27c75c6803ec47c017509ba0406b80020efeb06baf90cb006eef4ebfdbaf803eec3
0000000000000000ffff00000092cf000f00a07c00006690`.replaceAll(/\s/g, '');

const FILL = 0xb8;
const HOT = 0xbc;
const BEAT = 0xc0;
const LIFE = 0xc2;
const END = 0xc4;
const SIGNATURE = 0x1fe;

/** Returns the 512 bytes of the boot sector. */
export function bootSector({ fillMiB, hotKiB, ends }: GuestProgram): Buffer {
  const sector = Buffer.alloc(512);
  sector.write(CODE, 'hex');
  sector.writeUInt32LE(Math.max(1, (fillMiB * 1024) / PAGE_KIB), FILL);
  sector.writeUInt32LE(Math.max(1, Math.ceil(hotKiB / PAGE_KIB)), HOT);
  sector.writeUInt16LE(TICKS_PER_SECOND, BEAT);
  sector.writeUInt16LE(ends === undefined ? 0 : Math.round(ends.afterSeconds * TICKS_PER_SECOND), LIFE);
  sector.writeUInt8(ends?.how === 'poweroff' ? 1 : 2, END);
  sector.writeUInt16LE(0xaa55, SIGNATURE);
  return sector;
}
