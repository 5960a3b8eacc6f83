import type { OrmRoot } from './orm-root.js';

/**
 * Runs an empty query, to see whether the database answers.
 *
 * @throws Error if it does not
 */
export async function checkDatabase({ em }: OrmRoot): Promise<void> {
  const connection = em.getConnection();
  await connection.ensureConnection();
  const check = await connection.checkConnection();
  if (!check.ok) throw new Error(check.reason);
}
