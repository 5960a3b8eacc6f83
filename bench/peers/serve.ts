/** Address of the database, as the bench gives it to every server. */
export const databaseUrl = process.argv[2] ?? '';

/** Database connections that every server holds. */
export const poolSize = 8;

/** Tells the bench that the server listens, and ends the server with the bench. */
export function announce(port: number): void {
  process.on('disconnect', () => process.exit());
  process.send?.({ port });
}
