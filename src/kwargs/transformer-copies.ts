import { findPackage, loadedModules, ownFolder, secondCopy } from '../copies.js';
import type { Class } from '../metadata.js';

const name = 'class-transformer';

/** The metadata of one kind of decorator, by class and property. */
type Notes = ReadonlyMap<unknown, ReadonlyMap<string, { readonly typeFunction?: () => unknown }>>;

/** The metadata that the decorators of one copy of class-transformer wrote. */
type Storage = Readonly<
  Record<'_typeMetadatas' | '_transformMetadatas' | '_exposeMetadatas' | '_excludeMetadatas', Notes>
>;

/**
 * Finds classes whose `@Type`, `@Transform` and `@Expose` come from another copy of class-transformer. These do nothing here: values would
 * not be converted, and views would show nothing.
 *
 * @throws ConfigurationError for such a class, and for a class whose properties lead to one
 */
export function checkTransformer(owner: Class): void {
  const storages = storagesByFolder();
  if (storages.size < 2) return;
  const own = findPackage(name, ownFolder)?.folder ?? name;
  const others = [...storages].filter(([folder]) => folder !== own);
  for (const reached of reachedFrom(owner, storages.get(own))) {
    const [folder] = others.find(([, storage]) => hasNotes(storage, reached)) ?? [];
    if (folder !== undefined)
      throw secondCopy(reached.name, name, `has properties with decorators of the copy in ${folder}`, own);
  }
}

function storagesByFolder(): ReadonlyMap<string, Storage> {
  const loaded = [...loadedModules(name, 'cjs/storage.js')];
  return new Map(loaded.map(([folder, module]) => [folder, module['defaultMetadataStorage'] as Storage]));
}

function hasNotes(storage: Storage, owner: Class): boolean {
  const { _typeMetadatas, _transformMetadatas, _exposeMetadatas, _excludeMetadatas } = storage;
  return [_typeMetadatas, _transformMetadatas, _exposeMetadatas, _excludeMetadatas].some((notes) => notes?.has(owner));
}

/** A class, the classes that it extends, and those that `@Type` names on their properties. */
function reachedFrom(owner: unknown, storage: Storage | undefined, reached = new Set<Class>()): ReadonlySet<Class> {
  if (typeof owner !== 'function' || owner === Function.prototype || reached.has(owner as Class)) return reached;
  reached.add(owner as Class);
  reachedFrom(Object.getPrototypeOf(owner), storage, reached);
  for (const { typeFunction } of storage?._typeMetadatas.get(owner)?.values() ?? [])
    reachedFrom(typeFunction?.(), storage, reached);
  return reached;
}
