import {
  Collection,
  type Opt,
  OptionalProps,
  PrimaryKeyProp,
  type Ref,
  type Rel,
  type ScalarRef,
} from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, OneToMany, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { IsInt } from 'class-validator';
import { ModelSerializer } from 'signalbox';
import { injectable } from 'tsyringe';

/** One property of every kind that a serializer has to know. */
@Entity()
export class User {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) username!: string;
  @Property({ type: 'string', hidden: true }) password!: string;
}

@Entity()
export class Country {
  [PrimaryKeyProp]?: 'code';
  @PrimaryKey({ type: 'string' }) code!: string;
  @Property({ type: 'string' }) title!: string;
}

@Entity()
export class Tag {
  @PrimaryKey({ type: 'uuid' }) uuid!: string;
  @Property({ type: 'string' }) label!: string;
}

@Entity()
export class Membership {
  [PrimaryKeyProp]?: ['user', 'position'];
  @ManyToOne(() => User, { primary: true }) user!: Rel<User>;
  @PrimaryKey({ type: 'integer' }) position!: number;
}

@Entity()
export class Room {
  [OptionalProps]?: 'slug';
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'string', default: '' }) slug!: string;
  @Property({ type: 'boolean', default: false }) archived: Opt<boolean> = false;
  @Property({ type: 'string', default: 'open' }) state: Opt<'open' | 'closed'> = 'open';
  @Property({ type: 'datetime', onCreate: () => new Date() }) createdAt!: Opt<Date>;
  @Property({ type: 'datetime' }) opensAt!: Date;
  @Property({ type: 'bigint' }) visits!: bigint;
  @Property({ type: 'text', nullable: true }) topic?: string | null;
  @Property({ type: 'json' }) settings!: { theme: string; since: Date };
  @Property({ type: 'string', array: true }) aliases!: string[];
  @Property({ type: 'text', lazy: true, ref: true }) rules!: ScalarRef<string>;
  @ManyToOne(() => User) host!: Rel<User>;
  @ManyToOne(() => User, { nullable: true }) deputy?: Rel<User> | null;
  @ManyToOne(() => User, { ref: true }) owner!: Ref<User>;
  @ManyToOne(() => Country, { nullable: true, ref: true }) country!: Ref<Country> | null;
  @ManyToOne(() => Membership) seat!: Rel<Membership>;
  @ManyToMany(() => User) members = new Collection<User>(this);
  @ManyToMany(() => Tag) tags = new Collection<Tag>(this);
  @OneToMany(() => Message, 'room') messages = new Collection<Message>(this);

  isOpen(): boolean {
    return this.state === 'open';
  }
}

@Entity()
export class Message {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'text' }) text!: string;
  @Property({ type: 'datetime' }) sentAt!: Date;
  @ManyToOne(() => Room) room!: Rel<Room>;
  @ManyToOne(() => User) user!: Rel<User>;
}

export class RoomKey {
  @IsInt() room!: number;
}

@injectable()
export class UserSerializer extends ModelSerializer(User, { fields: ['id', 'username'] }) {}

@injectable()
export class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name'] }) {}
