/** The page's policy lets only those style elements count that carry its nonce. */

/** Gives it to every style element that is made: libraries make some and cannot all be told. */
export function giveNonce(): void {
  const nonce = document.querySelector<HTMLMetaElement>('meta[name="nonce"]')?.content
  if (!nonce) return
  const make = document.createElement.bind(document)
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const element = make(name, options)
    if (name === 'style') element.nonce = nonce
    return element
  }) as typeof document.createElement
}
