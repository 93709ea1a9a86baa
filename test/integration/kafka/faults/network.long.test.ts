import { networkFaults } from './network-faults.ts';

await networkFaults(['is cut, again and again', 'is frozen', 'takes what is asked and gives no answers', 'is slow']);
