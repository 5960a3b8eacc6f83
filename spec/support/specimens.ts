import { ArrayType, Collection, type Opt, type Rel } from '@mikro-orm/core';
import { Entity, Enum, ManyToMany, ManyToOne, OneToMany, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { IsOptional, Length, Matches, Max } from 'class-validator';

export enum Mood {
  calm = 'calm',
  wild = 'wild',
}

@Entity()
export class Shelf {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string', length: 20 })
  name!: string;

  @Property({ type: 'boolean', default: true })
  open: Opt<boolean> = true;

  @OneToMany(
    () => Specimen,
    (specimen) => specimen.shelf,
  )
  specimens = new Collection<Specimen>(this);
}

@Entity()
export class Tag {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  @Property({ type: 'string', length: 20 })
  name!: string;
}

/** A column of every type. */
@Entity()
export class Specimen {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string', length: 5 })
  code!: string;

  @Property({ type: 'text', nullable: true })
  story?: string | null;

  @Max(1000)
  @Property({ type: 'integer', nullable: true })
  amount?: number | null;

  @Property({ type: 'smallint', nullable: true })
  small?: number | null;

  @Property({ type: 'bigint', nullable: true })
  big?: bigint | null;

  @Property({ type: 'decimal', precision: 5, scale: 2, nullable: true })
  price?: string | null;

  @Property({ type: 'double', nullable: true })
  weight?: number | null;

  @Property({ columnType: 'real', type: 'float', nullable: true })
  ratio?: number | null;

  @Enum({ items: () => Mood, nullable: true })
  mood?: Mood | null;

  @Property({ type: 'boolean', nullable: true })
  rare?: boolean | null;

  @Property({ type: 'date', nullable: true })
  found?: string | null;

  @Property({ type: 'datetime', nullable: true })
  seen?: Date | null;

  @Property({ type: 'time', nullable: true })
  noon?: string | null;

  @Property({ type: 'uuid', nullable: true })
  serial?: string | null;

  @Property({ type: 'json', nullable: true })
  extra?: unknown;

  @Property({ columnType: 'integer[]', type: new ArrayType(Number), nullable: true })
  numbers?: number[] | null;

  @Property({ columnType: 'text[]', type: 'array', nullable: true })
  words?: string[] | null;

  @IsOptional()
  @Length(2, 4)
  @Matches(/^[a-z]*$/, { message: 'Lower case only' })
  @Property({ type: 'string', nullable: true })
  nick?: string | null;

  @Length(2, 4)
  @Property({ type: 'string', nullable: true })
  label?: string | null;

  @Property({ type: 'string', default: 'none' })
  origin: Opt<string> = 'none';

  @Property({ type: 'datetime', onCreate: () => new Date('2026-01-01T00:00:00Z') })
  createdAt: Opt<Date> = new Date('2026-01-01T00:00:00Z');

  @Property({ type: 'integer', version: true })
  version: Opt<number> = 1;

  @Property({ type: 'text', lazy: true, nullable: true })
  notes?: string | null;

  @ManyToOne(() => Shelf, { nullable: true })
  shelf?: Rel<Shelf> | null;

  @ManyToMany(() => Tag)
  tags = new Collection<Tag>(this);
}

export const specimens = [Shelf, Tag, Specimen];

/** The names of all fields of a specimen. */
export const specimenFields = [
  'id',
  'code',
  'story',
  'amount',
  'small',
  'big',
  'price',
  'weight',
  'ratio',
  'mood',
  'rare',
  'found',
  'seen',
  'noon',
  'serial',
  'extra',
  'numbers',
  'words',
  'nick',
  'label',
  'origin',
  'createdAt',
  'version',
  'notes',
  'shelf',
  'tags',
] as const;
