import { networkFaults } from './network-faults.ts';

await networkFaults(['is cut repeatedly', 'is frozen', 'delivers requests but no answers', 'is slow']);
