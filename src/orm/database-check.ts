import type { OrmRoot } from './orm-root.js';

/** Asks the database for nothing, to see whether it answers. @throws Error where it does not */
export async function checkDatabase({ em }: OrmRoot): Promise<void> {
  const connection = em.getConnection();
  await connection.ensureConnection();
  const check = await connection.checkConnection();
  if (!check.ok) throw new Error(check.reason);
}
