import './kafkajs-patches.ts';

/** The only module that loads kafkajs, because the patches must be in place before kafkajs is loaded. */

export * from 'kafkajs';
export { default } from 'kafkajs';
