static inline __attribute__((always_inline)) int twice(int x){ return x*2+1; }
int g[10];
static int helper(int n){
  int s=0;
  for(int i=0;i<n;i++)
    s+=twice(g[i]);
  return s;
}
__attribute__((noinline)) int other(int a){ return helper(a)+twice(a); }
void _start(void){ g[0]=other(3); for(;;); }
