import { Collection, type Opt, type Rel } from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Length } from 'class-validator';

/** The models of the framework's own specs. */
@Entity()
export class User {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Length(1, 150)
  @Property({ type: 'string', length: 150, unique: true })
  username!: string;

  @Property({ type: 'string', hidden: true })
  password!: string;
}

@Entity()
export class Room {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Length(1, 255)
  @Property({ type: 'string', length: 255, unique: true })
  name!: string;

  @Property({ type: 'boolean', default: false })
  archived: Opt<boolean> = false;

  @ManyToOne(() => User, { nullable: true })
  host?: Rel<User> | null;

  @ManyToMany(() => User)
  members = new Collection<User>(this);
}

@Entity()
export class Message {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @ManyToOne(() => Room)
  room!: Rel<Room>;

  @Length(1, 500)
  @Property({ type: 'string', length: 500 })
  text!: string;

  @ManyToOne(() => User, { nullable: true })
  user?: Rel<User> | null;
}

export const entities = [User, Room, Message];
