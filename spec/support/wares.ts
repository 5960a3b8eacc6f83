import type { Opt, Rel } from '@mikro-orm/core';
import { Entity, Enum, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import {
  BulkCreate,
  BulkDelete,
  BulkPatch,
  Consumer,
  Create,
  Delete,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  ObserveRows,
  Patch,
  Retrieve,
  Update,
} from 'signalbox';
import { injectable } from 'tsyringe';

@Entity()
export class Maker {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
}

/** Its columns are of the kinds that are written without an entity. */
@Entity()
export class Ware {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string', length: 40, unique: true }) name!: string;
  @Property({ type: 'text', nullable: true }) note?: string | null;
  @Property({ type: 'integer', default: 0 }) stock: Opt<number> = 0;
  @Property({ type: 'bigint', nullable: true }) serial?: bigint | null;
  @Property({ type: 'decimal', precision: 10, scale: 2, nullable: true }) price?: string | null;
  @Property({ type: 'double', nullable: true }) weight?: number | null;
  @Property({ type: 'boolean', default: false }) sold: Opt<boolean> = false;
  @Property({ type: 'datetime', nullable: true }) until?: Date | null;
  @Property({ type: 'date', nullable: true }) day?: string | null;
  @Property({ type: 'json', nullable: true }) extra?: unknown;
  /** A type without an equality. */
  @Property({ type: 'json', columnType: 'json', nullable: true }) raw?: unknown;
  @Property({ columnType: 'text[]', nullable: true }) words?: string[] | null;
  @Property({ type: 'blob', nullable: true }) image?: Buffer | null;
  @Enum({ items: ['new', 'used'], nullable: true }) state?: string | null;
  @ManyToOne(() => Maker, { nullable: true }) maker?: Rel<Maker> | null;
}

export const wareModels = [Maker, Ware];

@injectable()
export class WareSerializer extends ModelSerializer(Ware, {
  fields: [
    'id',
    'name',
    'note',
    'stock',
    'serial',
    'price',
    'weight',
    'sold',
    'until',
    'day',
    'extra',
    'raw',
    'words',
    'image',
    'state',
    'maker',
  ],
  readOnly: ['id'],
}) {}

@Consumer()
export class WareConsumer extends mix(
  ModelConsumer(Ware, { serializer: WareSerializer, filters: { fields: ['stock'] } }),
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
  BulkCreate,
  BulkPatch,
  BulkDelete,
  ObserveInstance,
  ObserveRows,
) {}

/** Writes the same by entities, because the application has a say in it. */
@Consumer()
export class WareByEntityConsumer extends WareConsumer {
  protected override async performCreate(...given: Parameters<WareConsumer['performCreate']>) {
    return super.performCreate(...given);
  }
  protected override async performUpdate(...given: Parameters<WareConsumer['performUpdate']>) {
    return super.performUpdate(...given);
  }
  protected override async performDelete(...given: Parameters<WareConsumer['performDelete']>) {
    return super.performDelete(...given);
  }
}
