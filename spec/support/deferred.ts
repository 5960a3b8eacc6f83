import { Entity, ManyToOne, PrimaryKey, Property, Unique } from '@mikro-orm/decorators/legacy';

/** PostgreSQL checks its constraints at the commit. */
@Entity()
export class Slip {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Unique({ deferMode: 'deferred' }) @Property({ type: 'string' }) code!: string;
  @ManyToOne(() => Slip, { nullable: true, deferMode: 'deferred', deleteRule: 'no action' }) behind?: Slip | null;
  @Property({ type: 'integer', nullable: true }) drawer?: number | null;
}
