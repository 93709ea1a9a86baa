import { processFaults } from './process-faults.ts';

await processFaults({ kills: 1 });
