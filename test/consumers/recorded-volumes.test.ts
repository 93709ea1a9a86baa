import { expect, it } from 'vitest';
import { RecordedVolumes } from '../../consumers/recording/volumes.ts';

const vms = (...names: string[]) => new Set(names);
const plain = (...volumes: string[]) => volumes.map((volume) => ({ volume, shareable: false }));

it('takes the disk that is named after the VM by default', () => {
  const volumes = new RecordedVolumes({}, vms('u1'));
  expect(volumes.declare('u1', 'vm1')).toEqual(plain('vm1.img'));
  expect([volumes.ownerOf('vm1.img'), volumes.ownerOf('other.img')]).toEqual(['u1', undefined]);
});

it('takes all volumes of the scenario line', () => {
  const volumes = new RecordedVolumes({ volumes: ['vm1.img', { volume: 'shared', shareable: true }] }, vms('u1'));
  expect(volumes.declare('u1', 'vm1')).toEqual([...plain('vm1.img'), { volume: 'shared', shareable: true }]);
  expect(volumes.ownerOf('shared')).toBe('u1');
});

it('takes the volumes of each VM by its UUID or name', () => {
  const volumes = new RecordedVolumes({ volumes: { u1: ['a', 'b'], vm2: ['c'] } }, vms('u1', 'u2', 'u3'));
  expect(volumes.declare('u1', 'vm1')).toEqual(plain('a', 'b'));
  expect(volumes.declare('u2', 'vm2')).toEqual(plain('c'));
  expect(volumes.declare('u3', 'vm3')).toEqual(plain('vm3.img'));
});

it('divides one list between several VMs by their names', () => {
  const volumes = new RecordedVolumes({ volumes: ['vm1.img', 'vm1-data.img', 'vm10.img'] }, vms('u1', 'u10'));
  expect(volumes.declare('u1', 'vm1')).toEqual(plain('vm1.img', 'vm1-data.img'));
  expect(volumes.declare('u10', 'vm10')).toEqual(plain('vm10.img'));
});
