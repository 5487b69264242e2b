#include <chrono>
#include <cstdio>
#include <vector>
#include <algorithm>
#include "ops/kernels/onednn.h"
#include "ops/kernels/small_gemm.h"
#include "tensor/parallel.h"
#include "tensor/tensor.h"
using namespace wengert;
template<class F> double Best(F f){ double best=1e9; for(int i=0;i<60;++i){auto s=std::chrono::steady_clock::now(); f(); double t=std::chrono::duration<double>(std::chrono::steady_clock::now()-s).count(); best=std::min(best,t);} return best;}
int main(){ SetNumThreads(1);
 int64_t M=256,N=1024,K=2048;
 Tensor a=Tensor::Ones({K,M}),b=Tensor::Ones({K,N}),c=Tensor::Empty({M,N}); double fl=2.0*M*N*K;
 for (int64_t tm : {128,256}) for (int64_t tn : {48,96,144,192,256,512,1024}) {
  double t2=Best([&]{ for(int64_t i=0;i<M;i+=tm) for (int64_t j=0;j<N;j+=tn){
  GemmArguments<float> g{.m=tm,.n=std::min(tn,N-j),.k=K,.a=a.data<float>()+i,.a_row=1,.a_column=M,.b=b.data<float>()+j,.b_row=N,.b_column=1,.c=c.mutable_data<float>()+i*N+j,.c_row=N};
  SmallGemm(g);}});
  std::printf("tile %ldx%ld: small %.1f\n",tm,tn,fl/t2/1e9);
 }
 double t=Best([&]{Sgemm(M,N,K,a.data<float>(),M,true,b.data<float>(),N,false,c.mutable_data<float>(),N);});
 std::printf("onednn %.1f\n",fl/t/1e9);
 for (int64_t m : {8,16,24,32}) { GemmArguments<float> g{.m=m,.n=1024,.k=256,.a=a.data<float>(),.a_row=272,.a_column=1,.b=b.data<float>(),.b_row=N,.b_column=1,.c=c.mutable_data<float>(),.c_row=N}; t=Best([&]{for(int i=0;i<10;++i)SmallGemm(g);}); std::printf("fwd %ld: %.1f\n",m,10*2.0*m*1024*256/t/1e9);
 GemmArguments<float> h{.m=m,.n=256,.k=1024,.a=a.data<float>(),.a_row=1040,.a_column=1,.b=b.data<float>(),.b_row=256,.b_column=1,.c=c.mutable_data<float>(),.c_row=272}; t=Best([&]{for(int i=0;i<10;++i)SmallGemm(h);}); std::printf("bwd %ld: %.1f\n",m,10*2.0*m*1024*256/t/1e9);
 GemmArguments<float> h2{.m=m,.n=128,.k=512,.a=a.data<float>(),.a_row=1040,.a_column=1,.b=b.data<float>(),.b_row=128,.b_column=1,.c=c.mutable_data<float>(),.c_row=272}; t=Best([&]{for(int i=0;i<10;++i)SmallGemm(h2);}); std::printf("bwd2 %ld: %.1f\n",m,10*2.0*m*512*128/t/1e9);
 GemmArguments<float> h3{.m=m,.n=512,.k=128,.a=a.data<float>(),.a_row=144,.a_column=1,.b=b.data<float>(),.b_row=512,.b_column=1,.c=c.mutable_data<float>(),.c_row=512}; t=Best([&]{for(int i=0;i<10;++i)SmallGemm(h3);}); std::printf("fwd2 %ld: %.1f\n",m,10*2.0*m*512*128/t/1e9);
 }
}
