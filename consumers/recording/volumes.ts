import type { InputData } from '../../events/inputs.ts';
import type { ScenarioLine } from './schema.ts';

/** The volumes of each recorded VM: those that the scenario line names, or the disk of vmN, which is vmN.img. */

type Declared = InputData<'landfall.vm.declared.v1'>['volumes'][number];
type Named = Pick<Declared, 'volume' | 'shareable'>;

export class RecordedVolumes {
  readonly #scenario: Pick<ScenarioLine, 'volumes'>;
  readonly #isAlone: boolean;
  /** Volumes of the listed VMs, by VM. */
  readonly #byVm = new Map<string, readonly Named[]>();

  /** @param vms the recorded VMs. */
  constructor(scenario: Pick<ScenarioLine, 'volumes'>, vms: ReadonlySet<string>) {
    this.#scenario = scenario;
    this.#isAlone = vms.size <= 1;
  }

  /** Returns the volumes of a VM at its first listing, under their recorded names. */
  declare(vm: string, name: string): readonly Named[] {
    const volumes = this.#named(vm, name) ?? [{ volume: `${name}.img`, shareable: false }];
    this.#byVm.set(vm, volumes);
    return volumes;
  }

  ownerOf(volume: string): string | undefined {
    return [...this.#byVm].find(([, volumes]) => volumes.some((named) => named.volume === volume))?.[0];
  }

  #named(vm: string, name: string): readonly Named[] | undefined {
    const { volumes } = this.#scenario;
    if (volumes === undefined) return undefined;
    if (!Array.isArray(volumes)) return (volumes[vm] ?? volumes[name])?.map(toNamed);
    const all = volumes.map(toNamed);
    // In a list for several VMs, a volume begins with the name of its VM.
    return this.#isAlone ? all : all.filter(({ volume }) => isOf(volume, name));
  }
}

function toNamed(given: string | { volume: string; shareable?: boolean | undefined }): Named {
  return typeof given === 'string'
    ? { volume: given, shareable: false }
    : { volume: given.volume, shareable: given.shareable === true };
}

/** vm1-data.img belongs to vm1, and vm10.img does not. */
function isOf(volume: string, name: string): boolean {
  return volume.startsWith(name) && !/^[\p{L}\p{N}]/u.test(volume.slice(name.length));
}
