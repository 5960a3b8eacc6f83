import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Length } from 'class-validator';
import { ModelSerializer } from 'signalbox';
import { injectable } from 'tsyringe';

/** Its key is a text, which a client gives and may change. */
@Entity()
export class Country {
  @PrimaryKey({ type: 'string', length: 10 }) code!: string;
  @Length(1, 100) @Property({ type: 'string', length: 100 }) name!: string;
}

@injectable()
export class CountrySerializer extends ModelSerializer(Country, { fields: ['code', 'name'] }) {}
