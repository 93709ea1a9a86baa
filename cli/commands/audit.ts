import { appendFileSync } from 'node:fs';
import type { Command } from 'commander';
import { RecordedLine } from '../../consumers/recording/schema.ts';
import { type Ending, Endings } from '../../consumers/recording/truth.ts';
import { fileSource } from '../../consumers/ingest.ts';
import { readLines } from '../../consumers/lines.ts';
import { Fault } from '../../events/fault.ts';
import { formatPosition, GENESIS } from '../../log/port.ts';
import type { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { pageDamageIn } from '../../log/sqlite/page-damage.ts';
import { backtest } from '../../policies/backtest.ts';
import { policies, policyOf } from '../../policies/registry.ts';
import type { KnownEndings } from '../../policies/truth.ts';
import { audit, isDamage } from '../../projections/audit.ts';
import { parseHead } from '../../projections/audit-checks.ts';
import { FindingExit, type Io } from '../io.ts';
import { withLedger, withReadOnlyLedger } from '../ledger-file.ts';
import { targetsTopic } from '../ledger-target.ts';
import { Remote } from '../remote.ts';
import { RemoteLedger } from '../remote-ledger.ts';
import { type AuditReport, auditText } from '../render/audit.ts';
import { backtestText } from '../render/backtest.ts';
import type { SettingFlags } from '../settings.ts';
import { dbOption, examples, jsonOption, serverOption } from './options.ts';
import { auditTopic, parseHeads, requireHeads, sum } from './topic-audit.ts';

/** Defines the commands that read the whole ledger: audit and backtest. */

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
  try {
    return await withReadOnlyLedger(options.db, async ({ ledger, db }) => {
      const audited = await auditReadable(ledger, { projections: db, ...kept });
      const pages = ledger.findDamage();
      const isSound = audited.findings.length === 0 && pages.length === 0;
      return withDamage(audited, [...pages, ...(isSound ? await columnDamage(ledger) : [])]);
    });
  } catch (error) {
    if (!isDamage(error)) throw error;
    return withDamage(unreadableReport(0, error), pageDamageIn(options.db));
  }
}

function withDamage(audited: AuditReport, damages: readonly string[]): AuditReport {
  const found = damages.map((message) => ({ position: audited.head.position, kind: 'damaged', message }));
  return { ...audited, findings: [...audited.findings, ...found] };
}

/** Audits the entries. A file whose head cannot be read gives a report with this finding only. */
async function auditReadable(ledger: SqliteLedger, options: Parameters<typeof audit>[2]): Promise<AuditReport> {
  try {
    return await audit(ledger, ledger.partition, options);
  } catch (error) {
    if (!isDamage(error)) throw error;
    return unreadableReport(ledger.partition, error);
  }
}

function unreadableReport(partition: number, { message }: Fault): AuditReport {
  const position = formatPosition({ partition, sequence: 0 });
  const verdicts = { checked: 0, differing: 0, otherTable: 0, byOperator: 0 };
  return {
    entries: 0,
    head: { position, hash: GENESIS },
    findings: [{ position, kind: 'damaged', message }],
    verdicts,
  };
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
