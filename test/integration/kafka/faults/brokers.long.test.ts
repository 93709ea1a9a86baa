import { brokerFaults } from './broker-faults.ts';

await brokerFaults({ inputs: 110_000, kills: 12 });
