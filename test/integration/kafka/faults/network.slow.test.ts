import { networkFaults } from './network-faults.ts';

await networkFaults(['is cut repeatedly', 'delivers requests but no answers']);
