import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '../../events/fault.ts';
import { FOREIGN_RECORD } from '../../log/kafka/ledger-tailer.ts';
import type { KafkaLedger } from '../../log/kafka/ledger.ts';
import type { KafkaLog } from '../../kafka/options.ts';
import { formatPosition, type Head } from '../../log/port.ts';
import { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../../machines/version.ts';
import { type Audit, audit } from '../../projections/audit.ts';
import { parseHead } from '../../projections/audit-checks.ts';
import { FindingExit, type Io } from '../io.ts';
import { type AuditReport, auditText } from '../render/audit.ts';
import { requireKafka, type SettingFlags, settingsOf } from '../settings.ts';
import { waitForReplicas, withReplica } from '../topic-ledger.ts';

/**
 * Implements `landfall kafka audit`: reads the ledger topic from its beginning and compares this machine's replica with
 * it.
 */

export type TopicAuditOptions = SettingFlags & { json?: true; head?: string };
type Finding = AuditReport['findings'][number];

export async function auditTopic({ json, head, ...flags }: TopicAuditOptions, io: Io): Promise<void> {
  const access = requireKafka(settingsOf(flags, io));
  const heads = parseHeads(head);
  const foreign: Finding[] = [];
  const log: KafkaLog = (_level, message, details) => {
    if (message === FOREIGN_RECORD) foreign.push(foreignFinding(details));
  };
  const folder = mkdtempSync(join(tmpdir(), 'landfall-audit-'));
  try {
    const clientId = `${access.clientId}.audit.${folder.slice(-6)}`;
    const reports = await withReplica(
      { ...access, folder, clientId },
      (ledger) => auditAll(ledger, access.folder, requireHeads(heads, ledger.partitions)),
      log,
    );
    const total = sum(reports, foreign);
    io.out(json === true ? JSON.stringify(total) : auditText(total, io.style));
    if (total.findings.length > 0) throw new FindingExit('the audit has findings');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function auditAll(ledger: KafkaLedger, local: string, heads: ReadonlyMap<number, Head>): Promise<AuditReport[]> {
  const reports: AuditReport[] = [];
  for (let partition = 0; partition < ledger.partitions; partition += 1) {
    const copy = ledger.replica(partition);
    const head = heads.get(partition);
    const found = await audit(copy.ledger, partition, head === undefined ? {} : { head });
    // A fault of the replica means that the topic's own chain is broken.
    const broken =
      copy.fault === null
        ? []
        : [{ position: found.head.position, kind: 'altered' as const, message: copy.fault.message }];
    const here = await localFindings(join(local, `${partition}.db`), ledger, partition);
    reports.push({ ...found, findings: [...found.findings, ...broken, ...here] });
  }
  return reports;
}

/** Audits the chain and the projections of this machine's replica and compares its head with the topic. */
async function localFindings(file: string, topic: KafkaLedger, partition: number): Promise<Finding[]> {
  if (!existsSync(file)) return [];
  const ledger = await SqliteLedger.open({ file, mode: 'read', machineVersion: MACHINE_VERSION });
  try {
    const { findings, head } = await audit(ledger, ledger.partition, { projections: ledger.readConnection() });
    const sequence = Number(head.position.split(':')[1]);
    const isSame = sequence === 0 || (await hashAt(topic, partition, sequence)) === head.hash;
    const differs = { position: head.position, kind: 'fork', message: 'this machine’s replica and the topic differ' };
    return [
      ...findings.map((each) => ({ ...each, message: `this machine’s replica: ${each.message}` })),
      ...(isSame ? [] : [differs]),
    ];
  } finally {
    await ledger.close();
  }
}

/**
 * Returns the hash of an entry in the topic, or null if the topic has no such entry. A running owner has its commits
 * before a reader of the topic, so the topic is first read to its present end.
 * @throws Fault KAFKA_FAILED if the topic cannot be read to its end.
 */
async function hashAt(topic: KafkaLedger, partition: number, sequence: number): Promise<string | null> {
  const copy = topic.replica(partition).ledger;
  if (copy.entryAt(sequence) === null) await waitForReplicas(topic, { asOf: Date.now() });
  return copy.entryAt(sequence)?.hash ?? null;
}

/** Merges the reports of all partitions. The head of the sum is the vector of all heads. */
export function sum(reports: readonly AuditReport[], foreign: readonly Finding[]): AuditReport {
  const verdicts: Audit['verdicts'] = { checked: 0, differing: 0, otherTable: 0, byOperator: 0 };
  for (const each of reports) {
    verdicts.checked += each.verdicts.checked;
    verdicts.differing += each.verdicts.differing;
    verdicts.otherTable += each.verdicts.otherTable;
    verdicts.byOperator += each.verdicts.byOperator;
  }
  const [heads, last] = [reports.slice(0, -1), reports.at(-1)];
  const before = heads.map(({ head }) => `${head.position}:${head.hash},`).join('');
  return {
    entries: reports.reduce((count, { entries }) => count + entries, 0),
    head: { position: `${before}${last?.head.position ?? ''}`, hash: last?.head.hash ?? '' },
    verdicts,
    findings: [...foreign, ...reports.flatMap(({ findings }) => findings)],
  };
}

type Heads = ReadonlyMap<number, Head>;

/** Parses heads as an audit prints them (`0:17:HASH,1:4:HASH…`); null without heads. @throws Fault BAD_HEAD. */
export function parseHeads(text: string | undefined): Heads | null {
  if (text === undefined) return null;
  const heads = new Map<number, Head>();
  for (const each of text.split(',')) {
    const head = parseHead(each);
    const partition = Number(/^\s*(\d+):\d+:/.exec(each)?.[1] ?? Number.NaN);
    if (Number.isNaN(partition)) throw badHeads(`${JSON.stringify(each)} does not name its partition`);
    if (heads.has(partition)) throw badHeads(`partition ${partition} has two heads`);
    heads.set(partition, head);
  }
  return heads;
}

/**
 * Requires one head per partition, because a missing head would leave its partition unchecked. @throws Fault BAD_HEAD.
 */
export function requireHeads(heads: Heads | null, partitions: number): Heads {
  if (heads === null) return new Map();
  for (const partition of heads.keys())
    if (partition >= partitions)
      throw badHeads(`there is no partition ${partition}; the topic has ${partitions} partitions`);
  for (let partition = 0; partition < partitions; partition += 1)
    if (!heads.has(partition)) throw badHeads(`the head of partition ${partition} is missing`);
  return heads;
}

function badHeads(what: string): Fault {
  return new Fault(
    'BAD_HEAD',
    what,
    'Give one head per partition, as an audit prints them: PARTITION:SEQUENCE:HASH, separated by commas.',
  );
}

function foreignFinding(details: object): Finding {
  const { partition, offset, reason } = details as { partition: number; offset: string; reason: string };
  const position = formatPosition({ partition, sequence: 0 });
  return {
    position,
    kind: 'altered',
    message: `the record at offset ${offset} was not written by Landfall: ${reason}`,
  };
}
