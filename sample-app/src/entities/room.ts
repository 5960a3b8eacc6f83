import { Collection, type Opt, type Rel } from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Length, Matches } from 'class-validator';
import { User } from './user.js';

@Entity()
export class Room {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Matches(/^\S(.*\S)?$/, { message: 'Use one line without spaces at its ends.' })
  @Length(1, 255)
  @Property({ type: 'string', length: 255, unique: true })
  name!: string;

  @ManyToOne(() => User)
  host!: Rel<User>;

  /** Whether only its members may see it; its host is one of them. */
  @Property({ type: 'boolean', default: false })
  isPrivate: Opt<boolean> = false;

  @ManyToMany(() => User)
  members = new Collection<User>(this);

  @ManyToMany(() => User)
  currentUsers = new Collection<User>(this);
}
