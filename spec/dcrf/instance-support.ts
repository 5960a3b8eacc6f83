import { EntityManager } from '@mikro-orm/core';
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
import { Country, CountrySerializer } from '../support/countries.js';
import { ShortSerializer, Thing } from '../support/things.js';

@injectable()
class CountedSerializer extends ModelSerializer(Thing, {
  fields: ['id', 'name', 'count', 'shelf'],
  readOnly: ['id'],
}) {}

class Rename {
  @IsInt() pk!: number;
  @Length(1, 100) name!: string;
}

@Consumer()
export class ThingConsumer extends mix(
  ModelConsumer(Thing, { serializer: CountedSerializer }),
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
export class CountryConsumer extends mix(
  ModelConsumer(Country, { serializer: CountrySerializer }),
  Retrieve,
  ObserveInstance,
) {}

/** Subscribes and gives the answer's status. */
export async function subscribe(to: TestChannel, pk: unknown, requestId: string | number): Promise<number> {
  const { response_status: status } = await to.request('subscribe_instance', { pk, request_id: requestId });
  return status;
}
