import pg from 'pg';

/**
 * While work is done, PostgreSQL ends the session of a connection just before it would carry out a statement that matches: as it does when an
 * administrator ends sessions, or when the server is restarted.
 *
 * @param times how often
 * @returns how often it has happened
 */
export async function losingSessions(
  matches: (text: string) => boolean,
  times: number,
  work: () => Promise<unknown>,
): Promise<number> {
  const { query } = pg.Client.prototype;
  let lost = 0;
  pg.Client.prototype.query = function (this: pg.Client, ...parameters: readonly unknown[]) {
    const [given] = parameters as readonly [string | { readonly text: string }];
    if (lost < times && matches(typeof given === 'string' ? given : given.text)) {
      lost += 1;
      Reflect.apply(query, this, ['select pg_terminate_backend(pg_backend_pid())', () => {}]);
    }
    return Reflect.apply(query, this, parameters);
  } as typeof query;
  try {
    await work();
  } finally {
    pg.Client.prototype.query = query;
  }
  return lost;
}
