import { seeingStatements } from './sent-statements.js';

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
  let lost = 0;
  await seeingStatements((client, { text }) => {
    if (lost >= times || !matches(text)) return;
    lost += 1;
    client.query('select pg_terminate_backend(pg_backend_pid())', () => {});
  }, work);
  return lost;
}
