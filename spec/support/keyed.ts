import { Type } from '@mikro-orm/core';
import { Entity, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Shelf } from './specimens.js';

// Rows with keys of other kinds than those of Shelf (an integer), Tag (a uuid) and Country (a text).

@Entity()
export class Account {
  @PrimaryKey({ type: 'bigint' }) id!: bigint;
}

/** Its key has two columns, one of which is a relation. */
@Entity()
export class Place {
  @ManyToOne(() => Shelf, { primary: true }) shelf!: Shelf;
  @PrimaryKey({ type: 'bigint' }) number!: bigint;
  @Property({ type: 'string', nullable: true }) label?: string | null;
}

/** A number in the database, and in the entity a text: `no-5`. It expects a value, as types of applications do. */
export class NumberedText extends Type<string, number> {
  override convertToDatabaseValue(value: string | number): number {
    return typeof value === 'number' ? value : Number(value.replace('no-', ''));
  }
  override convertToJSValue(value: number): string {
    return `no-${value}`;
  }
  override getColumnType(): string {
    return 'int';
  }
}
