import type { EntityManager } from '@mikro-orm/core';

/** The driver's parser of a type, by its OID. */
export type ParserOf = (oid: number) => (text: string) => unknown;

/** As much of `pg.Pool`, or of PGlite, as says how values are read. */
interface NativeClient {
  readonly options?: { readonly types?: { getTypeParser(oid: number, format: 'text'): (text: string) => unknown } };
  readonly Client?: { readonly prototype: object };
  readonly parsers?: Readonly<Record<number, (text: string, oid: number) => unknown>>;
}

interface NativeConnection {
  getNativeClient(): Promise<unknown>;
}

/** What the driver of an ORM reads values with, so that a row's text means what a read of the row would have given. */
export async function parserOf(em: EntityManager): Promise<ParserOf> {
  const connection = em.getConnection('write') as unknown as NativeConnection;
  const { options, parsers } = (await connection.getNativeClient()) as NativeClient;
  const types = options?.types;
  if (types) return (oid) => types.getTypeParser(oid, 'text');
  return (oid) => {
    const parse = parsers?.[oid];
    return parse ? (text) => parse(text, oid) : (text) => text;
  };
}
