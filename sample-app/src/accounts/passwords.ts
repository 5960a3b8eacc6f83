import { randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';

/** The cost of a hash, for this application and for an attacker who guesses passwords. */
export interface PasswordCost {
  /** In KiB. */
  readonly memoryCost: number;
  readonly timeCost: number;
  readonly parallelism: number;
}

/** The minimum that OWASP advises for argon2id, which is the package's default algorithm. */
const advised: PasswordCost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

export class Passwords {
  /** A hash of no user. It is compared if the user does not exist, so that both answers take the same time. */
  private readonly decoy: Promise<string>;

  constructor(private readonly cost = advised) {
    this.decoy = this.hash(randomBytes(16));
  }

  hash(password: string | Uint8Array): Promise<string> {
    return hash(password, this.cost);
  }

  async verify(passwordHash: string | undefined, password: string): Promise<boolean> {
    const matches = await verify(passwordHash ?? (await this.decoy), password);
    return matches && passwordHash !== undefined;
  }
}
