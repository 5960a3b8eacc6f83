import type { Rel } from '@mikro-orm/core';
import { Entity, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { User } from './user.js';

@Entity()
export class Session {
  /** The SHA-256 of the cookie's token: a reader of this table cannot log in with it. */
  @PrimaryKey({ type: 'string', length: 64 })
  id!: string;

  @ManyToOne(() => User)
  user!: Rel<User>;

  @Property({ type: 'datetime', index: true })
  expiresAt!: Date;
}
