import type { ConsumerEvents, KafkaConsumer } from '../../kafka/port.ts';

/** A consumer whose group is played by the test. */
export class FakeConsumer implements KafkaConsumer {
  readonly orders: string[] = [];
  events: ConsumerEvents | null = null;

  assign(...partitions: readonly number[]): void {
    this.events?.assigned(new Map([['inputs', partitions]]));
  }
  async start(): Promise<void> {}
  async close(): Promise<void> {}
  /** Delivers one record. Resolves when the next record can be fetched. */
  async fetched(partition: number, offset: number): Promise<void> {
    const records = [{ offset, key: null, value: null, headers: {} }];
    const batch = { topic: 'inputs', partition, records, from: offset, next: offset + 1, high: offset + 1 };
    const nothing = async () => {};
    await this.events?.batch(batch, { isStale: () => false, resolve: () => {}, heartbeat: nothing, commit: nothing });
  }
  seek(_topic: string, partition: number, offset: number): void {
    this.orders.push(`seek ${partition} ${offset}`);
  }
  pause(_topic: string, partitions: readonly number[]): void {
    this.orders.push(`pause ${partitions.join()}`);
  }
  resume(_topic: string, partitions: readonly number[]): void {
    this.orders.push(`resume ${partitions.join()}`);
  }
}
