import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Length } from 'class-validator';

@Entity()
export class Task {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  /** The rule is checked whenever a client sends a title. */
  @Length(1, 200, { message: 'Write a title of 1 to 200 characters.' })
  @Property({ type: 'string', length: 200 })
  title!: string;

  @Property({ type: 'boolean', default: false })
  done: Opt<boolean> = false;
}
