/** A transaction's own connection, or any of the pool. */
export interface StatementConnection {
  executeQuery(query: object): Promise<{ readonly rows: readonly unknown[] }>;
}

export async function runStatement<Row>(
  connection: StatementConnection,
  statement: { readonly name?: string; readonly text: string },
  parameters: readonly unknown[],
): Promise<readonly Row[]> {
  const { rows } = await connection.executeQuery({
    sql: statement.text,
    parameters,
    query: { kind: 'RawNode' },
    queryId: { queryId: 'x' },
  });
  return rows as readonly Row[];
}
