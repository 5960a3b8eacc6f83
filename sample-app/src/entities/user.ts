import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Length } from 'class-validator';

@Entity()
export class User {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Length(1, 150)
  @Property({ type: 'string', length: 150, unique: true })
  username!: string;

  @Property({ type: 'string', hidden: true })
  passwordHash!: string;
}
