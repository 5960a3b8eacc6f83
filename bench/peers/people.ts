export interface Person {
  readonly id: number;
  readonly name: string;
  readonly email: string;
  readonly city: string;
  readonly age: number;
  readonly active: boolean;
  readonly joined: Date;
}

export type PersonPatch = Pick<Person, 'email' | 'age'>;
export type NewPerson = Omit<Person, 'id' | 'joined'>;

/** The table, as a server without a framework for data reads and writes it. */
export interface People {
  retrieve(id: number): Promise<object | undefined>;
  list(limit: number, offset: number): Promise<readonly object[]>;
  count(): Promise<number>;
  patch(id: number, patch: PersonPatch): Promise<object | undefined>;
  create(person: NewPerson): Promise<object>;
  /** Whether it was there. */
  delete(id: number): Promise<boolean>;
}

/** The rules that the other servers state in their own ways. */
export function isPatch(data: unknown): data is PersonPatch {
  const { email, age } = Object(data) as Record<string, unknown>;
  return isText(email, 254) && /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email) && Number.isInteger(age) && isAge(Number(age));
}

export function isNewPerson(data: unknown): data is NewPerson {
  const { name, city, active } = Object(data) as Record<string, unknown>;
  return isPatch(data) && isText(name, 150) && name.length > 0 && isText(city, 150) && typeof active === 'boolean';
}

function isText(value: unknown, longest: number): value is string {
  return typeof value === 'string' && value.length <= longest;
}

function isAge(value: number): boolean {
  return value >= 0 && value <= 150;
}
