import pg from 'pg';

export interface SentStatement {
  readonly text: string;
  /** Undefined where the server plans it for this once. */
  readonly name: string | undefined;
}

/** What the driver sends to PostgreSQL while work is done, but for what the framework asks its log. */
export async function statementsSentBy(work: () => Promise<unknown>): Promise<readonly SentStatement[]> {
  const sent = await allStatementsSentBy(work);
  return sent.filter(({ text }) => !/signalbox|^(un)?listen |pg_notify/i.test(text));
}

/** What the driver sends to PostgreSQL while work is done, the statements of the change log included. */
export async function allStatementsSentBy(work: () => Promise<unknown>): Promise<readonly SentStatement[]> {
  const sent: SentStatement[] = [];
  await seeingStatements((_client, statement) => sent.push(statement), work);
  return sent;
}

/** Shows each statement that the driver sends while work is done, just before it is sent. */
export async function seeingStatements(
  see: (client: pg.Client, statement: SentStatement) => void,
  work: () => Promise<unknown>,
): Promise<void> {
  const { query } = pg.Client.prototype;
  pg.Client.prototype.query = function (this: pg.Client, ...parameters: readonly unknown[]) {
    const [given] = parameters as readonly [string | SentStatement];
    const { text, name = undefined } = typeof given === 'string' ? { text: given } : given;
    see(this, { text, name });
    return Reflect.apply(query, this, parameters);
  } as typeof query;
  try {
    await work();
  } finally {
    pg.Client.prototype.query = query;
  }
}
