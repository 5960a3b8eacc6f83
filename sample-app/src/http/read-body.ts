import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { ParseError, ValidationFailed } from 'signalbox';

export function readBody<T extends object>(type: new () => T, body: unknown): T {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new ParseError();
  const instance = plainToInstance(type, body as Record<string, unknown>);
  const errors = validateSync(instance, { whitelist: true, stopAtFirstError: true });
  if (errors.length === 0) return instance;
  throw ValidationFailed.of(
    Object.fromEntries(errors.map(({ property, constraints = {} }) => [property, Object.values(constraints)])),
  );
}
