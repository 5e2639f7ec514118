/** Who is logged in and in which project they work: known to every page behind the login. */
import { Center, Loader } from '@mantine/core'
import { useLocalStorage } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { createContext, lazy, Suspense, useContext, useMemo, type ReactNode } from 'react'
import { fetchMe, type Me, type Project } from '../api/login'
import { Failure } from '../parts/Failure'
import { ME } from '../queries'

interface Here {
  me: Me
  /** Null for somebody who is in no project. */
  project: Project | null
  chooseProject: (id: string) => void
}

const HereContext = createContext<Here | null>(null)
const Login = lazy(() => import('../pages/login/Login'))

export function useHere(): Here {
  const here = useContext(HereContext)
  if (!here) throw new Error('A page that needs a login is outside of it.')
  return here
}

/** Shows `children` to who is logged in, and the login page to everybody else. */
export function LoginGate({ children }: { children: ReactNode }) {
  const query = useQuery({ queryKey: ME, queryFn: fetchMe, staleTime: 5 * 60_000 })
  if (query.isPending) return <Waiting />
  if (query.isError) return <Center h="100dvh" p="md"><Failure error={query.error} onRetry={() => void query.refetch()} /></Center>
  if (!query.data) return <Suspense fallback={<Waiting />}><Login /></Suspense>
  return <WithProject me={query.data}>{children}</WithProject>
}

function WithProject({ me, children }: { me: Me; children: ReactNode }) {
  const [chosen, choose] = useLocalStorage({ key: `project.${me.email}`, defaultValue: '', getInitialValueInEffect: false })
  const here = useMemo(() => {
    const project = me.projects.find(({ id }) => id === chosen) ?? me.projects[0] ?? null
    return { me, project, chooseProject: choose }
  }, [me, chosen, choose])
  return <HereContext.Provider value={here}>{children}</HereContext.Provider>
}

export function Waiting() {
  return <Center h="100dvh"><Loader aria-label="…" /></Center>
}
