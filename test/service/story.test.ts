import { expect, it } from 'vitest';
import { detailsOf } from '../../events/libvirt.ts';
import { timelineOf } from '../../projections/timeline.ts';
import { HandTime } from '../support/hand-time.ts';
import { commandJson } from '../support/command-line.ts';
import { scratchFolder } from '../support/landfall.ts';
import {
  answerStayed,
  declared,
  event,
  type Json,
  ledgerOf,
  serve,
  type Served,
  started,
  VM,
  workOff,
} from './harness.ts';

/** Long histories of one VM, read in pages. */

const details = detailsOf('Resumed');
const lifecycle = (number: number) =>
  event(
    'host.lifecycle',
    { host: number % 2 === 0 ? 'host-a' : 'host-b', event: 'Resumed', detail: details[number % details.length] },
    { subject: VM },
  );

/** Makes a long history: repeated migrations whose hosts give the same answers each time. */
async function lived(service: Served, things: number): Promise<void> {
  await service.post([declared(), started('m-1')]);
  for (let from = 0; from < things; from += 500) {
    const numbers = Array.from({ length: Math.min(500, things - from) }, (_, index) => from + index);
    expect((await service.post(numbers.map(lifecycle))).status).toBe(202);
  }
  const ask = { vm: VM, host: 'host-a' };
  await service.post(Array.from({ length: 40 }, (_, number) => answerStayed({ ...ask, question: `m-1/q${number}` })));
}

/** Starts a service whose time stands still, so that no deadline adds entries between two reads on a slow machine. */
const stillService = (folder = scratchFolder()) => serve({ logLevel: 'silent' }, folder, new HandTime());

/** Reads all pages of a list, and counts the ledger entries read for each page. */
async function pages(service: Served, path: string, between = async () => {}) {
  const ledger = ledgerOf(service);
  const readVm = ledger.readVm.bind(ledger);
  let read = 0;
  ledger.readVm = async function* (...args) {
    for await (const stored of readVm(...args)) {
      read += 1;
      yield stored;
    }
  };
  const items: Json[] = [];
  const costs: number[] = [];
  for (let next: string | null = ''; next !== null; ) {
    read = 0;
    const { status, body } = await service.get(`${path}${next === '' ? '' : `&after=${encodeURIComponent(next)}`}`);
    expect(status).toBe(200);
    items.push(...body.items);
    costs.push(read);
    next = body.next;
    await between();
  }
  ledger.readVm = readVm;
  return { items, costs };
}

it('reads for each page only the entries of that page', async () => {
  const service = await stillService();
  await lived(service, 1000);
  const whole = await timelineOf(ledgerOf(service).readVm(VM), VM);
  const { items, costs } = await pages(service, `/v1/vms/${VM}/history?limit=50`);
  expect(items).toEqual(whole);
  expect(costs.length).toBeGreaterThan(20);
  expect(Math.max(...costs)).toBeLessThan(150);
});

it('continues a history after other reads and after a restart', async () => {
  const before = await stillService();
  await lived(before, 60);
  const whole = await timelineOf(ledgerOf(before).readVm(VM), VM);
  const others = async () => {
    for (let limit = 1; limit <= 20; limit += 1) await before.get(`/v1/vms/${VM}/history?limit=${limit}`);
  };
  expect((await pages(before, `/v1/vms/${VM}/history?limit=7`, others)).items).toEqual(whole);
  const { body } = await before.get(`/v1/vms/${VM}/history?limit=9`);
  await before.stop();
  const after = await stillService(before.folder);
  const rest = await after.get(`/v1/vms/${VM}/history?limit=1000&after=${body.next}`);
  expect([...body.items, ...rest.body.items]).toEqual(whole);
});

it('counts repeated items only up to the requested time', async () => {
  const service = await serve({ logLevel: 'silent' });
  await lived(service, 2);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const at = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 5));
  const then = (await service.get(`/v1/vms/${VM}/history`)).body.items;
  await workOff(service);
  expect((await service.get(`/v1/vms/${VM}/history?at=${at}`)).body.items).toEqual(then);
  const file = `${service.folder}/ledger.db`;
  expect(await commandJson(['history', VM, '--at', String(at), '--db', file])).toEqual(then);
});

it('returns the entries of an attempt in pages', async () => {
  const service = await stillService();
  await lived(service, 1200);
  const first = (await service.get('/v1/migrations/m-1/entries')).body;
  expect([first.items.length, typeof first.next]).toEqual([100, 'string']);
  const { items } = await pages(service, '/v1/migrations/m-1/entries?limit=400');
  const stored = await Array.fromAsync(ledgerOf(service).readMigration('m-1'));
  expect(items.map((item) => JSON.stringify(item['entry']))).toEqual(stored.map(({ text }) => text));
  expect((await service.get('/v1/migrations/m-1/entries?after=7')).status).toBe(400);
  const remote = await commandJson(['explain', 'm-1', '--server', service.url]);
  await service.stop();
  expect(remote).toEqual(await commandJson(['explain', 'm-1', '--db', `${service.folder}/ledger.db`]));
});
