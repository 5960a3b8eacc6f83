import { randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';

/** What a hash costs who computes it, and who guesses. */
export interface PasswordCost {
  /** In KiB. */
  readonly memoryCost: number;
  readonly timeCost: number;
  readonly parallelism: number;
}

/** The least that OWASP advises for argon2id, which is the package's default algorithm. */
const advised: PasswordCost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

export class Passwords {
  /** No user's hash: to be compared with where there is no user, so that both answers take the same time. */
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
