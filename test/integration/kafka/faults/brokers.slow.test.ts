import { brokerFaults } from './broker-faults.ts';

await brokerFaults({ inputs: 5000, kills: 1 });
