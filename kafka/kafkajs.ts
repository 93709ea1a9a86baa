import './kafkajs-patches.ts';

/** The only way to kafkajs: what is replaced in it has to be in place before it is loaded. */

export * from 'kafkajs';
export { default } from 'kafkajs';
