import { appendFileSync } from 'node:fs';
import type { Command } from 'commander';
import { RecordedLine } from '../../consumers/recording/schema.ts';
import { type Ending, Endings } from '../../consumers/recording/truth.ts';
import { fileSource } from '../../consumers/ingest.ts';
import { readLines } from '../../consumers/lines.ts';
import { Fault } from '../../events/fault.ts';
import { formatPosition, GENESIS } from '../../log/port.ts';
import type { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { backtest } from '../../policies/backtest.ts';
import { policies, policyOf } from '../../policies/registry.ts';
import type { KnownEndings } from '../../policies/truth.ts';
import { audit, isDamage } from '../../projections/audit.ts';
import { parseHead } from '../../projections/audit-checks.ts';
import { FindingExit, type Io } from '../io.ts';
import { withLedger, withReadOnlyLedger, rebuildFile } from '../ledger-file.ts';
import { targetsTopic } from '../ledger-target.ts';
import { Remote } from '../remote.ts';
import { RemoteLedger } from '../remote-ledger.ts';
import { type AuditReport, auditText } from '../render/audit.ts';
import { backtestText } from '../render/backtest.ts';
import { requireKafka, type SettingFlags, settingsOf } from '../settings.ts';
import { withReplica, deleteReplica } from '../topic-ledger.ts';
import { dbOption, examples, jsonOption, serverOption } from './options.ts';
import { auditTopic, parseHeads, requireHeads, sum } from './topic-audit.ts';

/** Defines the commands that read the whole ledger: audit, rebuild and backtest. */

type AuditOptions = SettingFlags & { db: string; server?: string; json?: true; head?: string; saveHead?: string };

export function addAudit(program: Command, io: Io): void {
  program
    .command('audit')
    .summary('checks the hash chain, the projections and the verdicts')
    .description(
      'Reads the whole ledger: checks the hash chain, compares the projections with a rebuild, and decides every verdict again ' +
        'from its recorded evidence. The exit code is 1 if there is a finding. A truncated tail is found only with a head ' +
        'that was kept elsewhere (--head). With --server, only the entries that the service returns are checked, not its ' +
        'projections or its file.',
    )
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .option('--head <position:hash>', 'the head that an earlier audit printed')
    .option('--save-head <file>', 'append the head to this file, which should be on another machine')
    .option('--kafka-brokers <host:port,...>', 'audit the ledger topic on these brokers, like landfall kafka audit')
    .option('--kafka-prefix <name>', 'the prefix of the topic names')
    .addHelpText(
      'after',
      examples(
        ['landfall audit', 'check that nothing was altered'],
        [
          'landfall audit --head "$(tail -1 /mnt/other/heads)"',
          'also check that no entries were removed since that audit',
        ],
      ),
    )
    .action((options: AuditOptions, command: Command) =>
      targetsTopic(options, command, io) ? auditTopic(options, io) : auditCommand(options, io),
    );
}

async function auditCommand(options: AuditOptions, io: Io): Promise<void> {
  const result =
    options.server === undefined ? await auditFile(options) : await auditServer(options.server, options, io);
  if (options.saveHead !== undefined) appendFileSync(options.saveHead, `${result.head.position}:${result.head.hash}\n`);
  io.out(options.json === true ? JSON.stringify(result) : auditText(result, io.style));
  if (result.findings.length > 0) throw new FindingExit('the audit has findings');
}

async function auditFile(options: AuditOptions): Promise<AuditReport> {
  const kept = options.head === undefined ? {} : { head: parseHead(options.head) };
  // An unwritable --save-head file must fail before the audit, which can take long.
  if (options.saveHead !== undefined) appendFileSync(options.saveHead, '');
  return withReadOnlyLedger(options.db, async ({ ledger, db }) => {
    const audited = await auditReadable(ledger, { projections: db, ...kept });
    const pages = ledger.findDamage();
    const isSound = audited.findings.length === 0 && pages.length === 0;
    const damaged = [...pages, ...(isSound ? await columnDamage(ledger) : [])];
    const found = damaged.map((message) => ({ position: audited.head.position, kind: 'damaged' as const, message }));
    return { ...audited, findings: [...audited.findings, ...found] };
  });
}

/** Audits the entries. A file whose head cannot be read gives a report with this finding only. */
async function auditReadable(ledger: SqliteLedger, options: Parameters<typeof audit>[2]): Promise<AuditReport> {
  try {
    return await audit(ledger, ledger.partition, options);
  } catch (error) {
    if (!isDamage(error)) throw error;
    const position = formatPosition({ partition: ledger.partition, sequence: 0 });
    const verdicts = { checked: 0, differing: 0, otherTable: 0, byOperator: 0 };
    const findings = [{ position, kind: 'damaged', message: error.message }];
    return { entries: 0, head: { position, hash: GENESIS }, findings, verdicts };
  }
}

async function auditServer(url: string, { head, saveHead }: AuditOptions, io: Io): Promise<AuditReport> {
  const given = parseHeads(head);
  if (saveHead !== undefined) appendFileSync(saveHead, '');
  const ledger = await RemoteLedger.open(new Remote(url, io.env));
  const heads = requireHeads(given, ledger.partitions);
  const reports: AuditReport[] = [];
  for (let partition = 0; partition < ledger.partitions; partition += 1) {
    const kept = heads.get(partition);
    reports.push(await audit(ledger, partition, kept === undefined ? {} : { head: kept }));
  }
  return sum(reports, []);
}

/** Returns differences between the index columns of an entry and its text. */
async function columnDamage(ledger: SqliteLedger): Promise<string[]> {
  try {
    await ledger.verify();
    return ledger.findBookkeepingDamage();
  } catch (error) {
    if (error instanceof Fault) return [error.message];
    throw error;
  }
}

export function addRebuild(program: Command, io: Io): void {
  program
    .command('rebuild')
    .summary('rebuilds the projections from the ledger')
    .description(
      'Computes the projections from the ledger entries and replaces the old ones in one transaction. With --kafka-brokers, ' +
        'deletes this machine’s replica and reads it again from the topic. Makes no decisions and sends nothing.',
    )
    .addOption(dbOption())
    .option('--kafka-brokers <host:port,...>', 'read this machine’s replica again from the topic')
    .option('--kafka-prefix <name>', 'the prefix of the topic names')
    .action(async (options: SettingFlags & { db: string }, command: Command) => {
      if (targetsTopic(options, command, io)) return refetchReplica(options, io);
      const entries = await rebuildFile(options.db);
      io.out(`rebuilt the projections from ${entries} entries`);
    });
}

/** Deletes this machine's replica and resolves when it is read from the topic again. */
async function refetchReplica(flags: SettingFlags, io: Io): Promise<void> {
  const access = requireKafka(settingsOf(flags, io));
  await deleteReplica(access.folder);
  await withReplica(access, async (ledger) => {
    for (let partition = 0; partition < ledger.partitions; partition += 1) {
      const { head, fault } = ledger.replica(partition);
      if (fault !== null) throw fault;
      io.out(`partition ${partition}: ${head.sequence} entries`);
    }
  });
}

type BacktestOptions = { db: string; server?: string; json?: true; policy?: string[]; truth?: string[] };

export function addBacktest(program: Command, io: Io): void {
  program
    .command('backtest')
    .summary('compares the verdicts with the rules of other systems')
    .description(
      'Decides every failed call in the ledger again by the rules of other systems, and shows which decisions are right and ' +
        'the cost of wrong ones. The truth is the closing line of a recording (--truth), otherwise Landfall’s own proven verdict.',
    )
    .option('--policy <name...>', `one or more of: ${policies.map(({ id }) => id).join(', ')}`)
    .option('--truth <file...>', 'the ingested recordings; their closing lines have the true hosts of the guests')
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['landfall backtest', 'compare all policies'],
        ['landfall backtest --policy nova zstack-before', 'compare two policies'],
      ),
    )
    .action((options: BacktestOptions) => backtestCommand(options, io));
}

async function backtestCommand(options: BacktestOptions, io: Io): Promise<void> {
  const chosen = options.policy?.map((id) => {
    const policy = policyOf(id);
    if (policy === undefined)
      throw new Fault(
        'UNKNOWN_POLICY',
        `there is no policy ${JSON.stringify(id)}`,
        `The policies are: ${policies.map((known) => known.id).join(', ')}.`,
      );
    return policy;
  });
  const witnessed = await truthsIn(options.truth ?? []);
  const { server } = options;
  const result =
    server === undefined
      ? await withLedger(options.db, ({ ledger }) => backtest(ledger.read(ledger.partition, 1), witnessed, chosen))
      : await backtest((await RemoteLedger.open(new Remote(server, io.env))).all(), witnessed, chosen);
  io.out(options.json === true ? JSON.stringify(result) : backtestText(result, io.style));
}

/**
 * Returns the closing lines of recordings by attempt id. Both ids that an ingest may have used are present: as
 * recorded, and with --apart.
 */
async function truthsIn(files: string[]): Promise<KnownEndings> {
  const truths = new Map<string, Ending>();
  for (const file of files) {
    let scenario = '';
    const endings = new Endings();
    for await (const { text } of readLines(fileSource(file).stream())) {
      const line = recordedIn(text);
      if (line?.kind === 'scenario') scenario = line.name;
      if (line !== undefined) endings.take(line);
    }
    for (const [id, ending] of endings.byMigration)
      for (const known of [id, `${scenario}/${id}`]) truths.set(known, ending);
  }
  return truths;
}

/** Returns undefined for invalid lines and for lines of another kind; the ingest reports them. */
function recordedIn(text: string): RecordedLine | undefined {
  try {
    return RecordedLine.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
