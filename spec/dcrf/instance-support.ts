import { EntityManager, MikroORM } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { IsInt, Length } from 'class-validator';
import {
  Action,
  type ActionContext,
  Consumer,
  Create,
  Delete,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  Retrieve,
  Update,
} from 'signalbox';
import type { TestChannel } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { ShortSerializer, Thing } from './crud-support.js';

@Entity()
export class CodeThing {
  @PrimaryKey({ type: 'string', length: 10 })
  code!: string;

  @Length(1, 100)
  @Property({ type: 'string' })
  name!: string;
}

@injectable()
export class ThingSerializer extends ModelSerializer(Thing, {
  fields: ['id', 'name', 'count', 'shelf'],
  readOnly: ['id'],
}) {}

@injectable()
export class CodeSerializer extends ModelSerializer(CodeThing, { fields: ['code', 'name'] }) {}

class Rename {
  @IsInt() pk!: number;
  @Length(1, 100) name!: string;
}

@Consumer()
export class ThingConsumer extends mix(
  ModelConsumer(Thing, { serializer: ThingSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
  ObserveInstance,
) {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action()
  async renameAsync({ pk, name }: Rename, _context: ActionContext) {
    (await this.em.findOneOrFail(Thing, pk)).name = name;
    await this.em.flush();
    return { pk };
  }
}

@Consumer()
export class InstanceConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer }),
  Retrieve,
  ObserveInstance,
) {}

@Consumer()
export class CodeConsumer extends mix(
  ModelConsumer(CodeThing, { serializer: CodeSerializer }),
  Retrieve,
  ObserveInstance,
) {}

/** Writes of the server, outside of any consumer. */
export class Server {
  readonly em: EntityManager;

  constructor({ em }: Pick<MikroORM, 'em'>) {
    this.em = em.fork();
  }

  /** Things 1 alpha, 2 beta, 3 gamma. */
  async fill(): Promise<void> {
    for (const name of ['alpha', 'beta', 'gamma']) this.em.persist(this.em.create(Thing, { name }));
    await this.em.flush();
  }

  async save(pk: number, values: Partial<Thing>): Promise<void> {
    Object.assign(await this.em.findOneOrFail(Thing, pk), values);
    await this.em.flush();
  }

  async delete(pk: number): Promise<void> {
    this.em.remove(await this.em.findOneOrFail(Thing, pk));
    await this.em.flush();
  }
}

/** Subscribes and gives the answer's status. */
export async function subscribe(to: TestChannel, pk: unknown, requestId: string | number): Promise<number> {
  const { response_status: status } = await to.request('subscribe_instance', { pk, request_id: requestId });
  return status;
}
