import type { EntityMetadata, EntityProperty } from '@mikro-orm/core';

/** A path from a row through its relations to a column or a relation: `name`, `project.team.name`, `labels`. */
export interface ModelPath {
  readonly text: string;
  /** The relations that the path goes through. */
  readonly steps: readonly EntityProperty[];
  readonly last: EntityProperty;
}

/** The order of a list: paths and their directions, the most significant first. */
export type ModelOrder = Readonly<Record<string, 'asc' | 'desc'>>;

/** The path; undefined if a name is no property, or if a name before the last is no relation. */
export function pathOf(meta: EntityMetadata, text: string): ModelPath | undefined {
  const steps: EntityProperty[] = [];
  const names = text.split('.');
  const lastName = names.pop();
  let at: EntityMetadata | undefined = meta;
  for (const name of names) {
    const step: EntityProperty | undefined = at?.props.find((prop) => prop.name === name);
    if (!step || !isRelation(step)) return undefined;
    steps.push(step);
    at = step.targetMeta;
  }
  const last = at?.props.find(({ name }) => name === lastName);
  return last && { text, steps, last };
}

export function isRelation({ kind, targetMeta, polymorphic }: EntityProperty): boolean {
  return targetMeta !== undefined && kind !== 'embedded' && !polymorphic;
}

/** Whether the relation leads to many rows. */
export function isToMany({ kind }: EntityProperty): boolean {
  return kind === '1:m' || kind === 'm:n';
}

/** Whether the row itself has the column of the property; for a relation to one row, the foreign key. */
export function isOwnColumn({ kind, owner, persist }: EntityProperty): boolean {
  if (kind === 'scalar') return persist !== false;
  return kind === 'm:1' || (kind === '1:1' && owner);
}

/** Whether the property may be null. The inverse side of a one-to-one relation may always be missing. */
export function mayBeMissing(prop: EntityProperty): boolean {
  return prop.nullable === true || (prop.kind === '1:1' && !prop.owner);
}

/** The condition on the row at the end of relations to one row. */
export function atEndOf(steps: readonly EntityProperty[], condition: object): object {
  return steps.reduceRight<object>((inner, { name }) => ({ [name]: inner }), condition);
}
