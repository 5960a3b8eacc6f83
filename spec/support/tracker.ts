import { Collection, type Opt, type Rel, Type } from '@mikro-orm/core';
import {
  Entity,
  Enum,
  ManyToMany,
  ManyToOne,
  OneToMany,
  OneToOne,
  PrimaryKey,
  Property,
} from '@mikro-orm/decorators/legacy';
import { ModelSerializer } from 'signalbox';
import { injectable } from 'tsyringe';

/** In the database and the entity a number of cents, in JSON a text of euros. */
export class Cents extends Type<number, number> {
  override toJSON(cents: number): never {
    return `${(cents / 100).toFixed(2)} €` as never;
  }
  override fromJSON(value: unknown) {
    const [, amount] = /^(-?\d+\.\d\d) €$/.exec(String(value)) ?? [];
    if (amount === undefined) throw new TypeError('No amount.');
    return Math.round(Number(amount) * 100);
  }
  override getColumnType() {
    return 'integer';
  }
}

/** An issue tracker: columns of all kinds that lists are filtered by, and relations of all kinds. */
@Entity()
export class Team {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'string', hidden: true, nullable: true }) secret?: string | null;
  @Property({ type: 'text', lazy: true, nullable: true }) history?: string | null;
  @OneToMany(() => Project, 'team') projects = new Collection<Project>(this);
}

@Entity()
export class Project {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string', nullable: true }) name?: string | null;
  @ManyToOne(() => Team) team!: Rel<Team>;
  @ManyToMany(() => Label) labels = new Collection<Label>(this);
}

@Entity()
export class Label {
  @PrimaryKey({ type: 'uuid' }) uuid!: string;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'integer', nullable: true }) weight?: number | null;
  @ManyToOne(() => Team, { nullable: true }) owner?: Rel<Team> | null;
}

@Entity()
export class Note {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'text' }) text!: string;
  @OneToOne(() => Issue, 'note', { owner: true }) issue!: Rel<Issue>;
}

@Entity({ orderBy: { id: 'asc' } })
export class Issue {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) title!: string;
  @Property({ type: 'text', nullable: true }) details?: string | null;
  @Property({ columnType: 'char(3)', nullable: true }) code?: string | null;
  @Enum({ items: ['open', 'closed'], type: 'string', default: 'open' }) state: Opt<'open' | 'closed'> = 'open';
  @Property({ type: 'boolean', nullable: true }) urgent?: boolean | null;
  @Property({ type: 'integer', nullable: true }) points?: number | null;
  @Property({ type: 'bigint', nullable: true }) views?: bigint | null;
  @Property({ columnType: 'real', type: 'float', nullable: true }) ratio?: number | null;
  @Property({ type: 'double', nullable: true }) score?: number | null;
  @Property({ type: 'decimal', precision: 10, scale: 2, nullable: true }) cost?: string | null;
  @Property({ type: 'datetime', columnType: 'timestamptz(3)', nullable: true }) closedAt?: Date | null;
  @Property({ type: 'date', nullable: true }) due?: string | null;
  @Property({ type: 'time', nullable: true }) alarm?: string | null;
  @Property({ type: 'uuid', nullable: true }) token?: string | null;
  @Property({ type: Cents, nullable: true }) budget?: number | null;
  @Property({ type: 'json', nullable: true }) settings?: object | null;
  @Property({ type: 'string', nullable: true, hidden: true }) answer?: string | null;
  @ManyToOne(() => Project, { nullable: true }) project?: Rel<Project> | null;
  @ManyToMany(() => Label) labels = new Collection<Label>(this);
  @OneToOne(() => Note, 'issue', { nullable: true }) note?: Rel<Note> | null;
}

export const trackerModels = [Team, Project, Label, Note, Issue];

@injectable()
export class IssueSerializer extends ModelSerializer(Issue, { fields: ['id', 'title'], readOnly: ['id'] }) {}
