import type { EntityMetadata, EntityProperty } from '@mikro-orm/core';

/** The way from a row through its relations to a column or to a relation: `name`, `project.team.name`, `labels`. */
export interface ModelPath {
  readonly text: string;
  /** The relations that are gone through. */
  readonly steps: readonly EntityProperty[];
  readonly last: EntityProperty;
}

/** The order of a list: its paths, the first of them deciding. */
export type ModelOrder = Readonly<Record<string, 'asc' | 'desc'>>;

/** Undefined where a name is no property, or one that is gone through is no relation. */
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

/** Whether the relation leads to any number of rows. */
export function isToMany({ kind }: EntityProperty): boolean {
  return kind === '1:m' || kind === 'm:n';
}

/** Whether the row itself has the column of the property; of a relation to one, the key of its target. */
export function isOwnColumn({ kind, owner, persist }: EntityProperty): boolean {
  if (kind === 'scalar') return persist !== false;
  return kind === 'm:1' || (kind === '1:1' && owner);
}

/** Whether the row may have nothing there. The other side of a one-to-one relation may always be missing. */
export function mayBeMissing(prop: EntityProperty): boolean {
  return prop.nullable === true || (prop.kind === '1:1' && !prop.owner);
}

/** A condition of what stands at the end of relations to one. */
export function atEndOf(steps: readonly EntityProperty[], condition: object): object {
  return steps.reduceRight<object>((inner, { name }) => ({ [name]: inner }), condition);
}
