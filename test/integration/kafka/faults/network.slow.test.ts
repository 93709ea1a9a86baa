import { networkFaults } from './network-faults.ts';

await networkFaults(['is cut, again and again', 'takes what is asked and gives no answers']);
