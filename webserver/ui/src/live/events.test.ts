import { expect, test, vi } from 'vitest'
import { gathered } from './events'

test('a burst of events is one look, and later ones are another', () => {
  vi.useFakeTimers()
  const look = vi.fn()
  const { ask, forget } = gathered(look, 400)
  for (let event = 0; event < 5; event++) ask()
  expect(look).not.toHaveBeenCalled()
  vi.advanceTimersByTime(400)
  expect(look).toHaveBeenCalledTimes(1)
  ask()
  forget()
  vi.advanceTimersByTime(1000)
  expect(look).toHaveBeenCalledTimes(1)
  vi.useRealTimers()
})
