import { injectable } from 'tsyringe';

/** One per connection that asks for it, as long as the container of the connection is there. */
@injectable()
export class Guest {
  /** How many there are. */
  static count = 0;

  constructor() {
    Guest.count += 1;
  }

  dispose(): void {
    Guest.count -= 1;
  }
}
