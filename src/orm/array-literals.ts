import type { OrmRoot } from './orm-root.js';

/**
 * Makes an ORM write its lists as PostgreSQL reads them. MikroORM quotes items only where they have certain signs, and escapes them as JSON
 * does: `NULL`, leading and trailing spaces and line breaks would not come back as they were.
 */
export function writeArrays({ em }: OrmRoot): void {
  const platform = em.getDriver().getPlatform();
  platform.marshallArray = arrayLiteral;
}

/** The literal of an array, `{1,"a \"b\"",NULL}`, also of nested lists. */
export function arrayLiteral(items: readonly unknown[]): string {
  return `{${items.map(itemLiteral).join(',')}}`;
}

function itemLiteral(item: unknown): string {
  if (item === null || item === undefined) return 'NULL';
  if (Array.isArray(item)) return arrayLiteral(item);
  if (typeof item === 'number' || typeof item === 'bigint' || typeof item === 'boolean') return String(item);
  return `"${textOf(item).replace(/["\\]/g, '\\$&')}"`;
}

function textOf(item: unknown): string {
  if (item instanceof Date) return item.toISOString();
  if (item instanceof Uint8Array) return `\\x${Buffer.from(item).toString('hex')}`;
  return String(item);
}
