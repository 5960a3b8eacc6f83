import type { Rel } from '@mikro-orm/core';
import { Entity, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Length } from 'class-validator';
import { Room } from './room.js';
import { User } from './user.js';

@Entity()
export class Message {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @ManyToOne(() => Room, { index: true })
  room!: Rel<Room>;

  @Length(1, 500)
  @Property({ type: 'string', length: 500 })
  text!: string;

  @ManyToOne(() => User)
  user!: Rel<User>;

  @Property({ type: 'datetime' })
  createdAt!: Date;
}
